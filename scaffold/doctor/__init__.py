"""`scaffold doctor`: look at everything that `scaffold run` stands on, and say what is wrong with it."""
