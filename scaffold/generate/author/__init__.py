"""For the people who own a template: start one, find its faults, hold what it makes, release it."""
