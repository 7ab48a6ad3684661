"""How frames become pictures as a player shows them: orientation, pixel aspect, colour, alpha, fields, and their times."""
