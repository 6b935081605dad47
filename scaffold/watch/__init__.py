"""The edit loop: which action a changed file means, and doing it."""
