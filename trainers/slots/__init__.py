"""The trainer's slots: each published method is a value of one of them."""
