"""What both clients do alike before and after a request: who may ask, for how long, how much of an answer is taken in."""
