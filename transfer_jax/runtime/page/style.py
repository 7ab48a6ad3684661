"""How the figures of reports look."""
STYLE = {'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True, 'grid.linewidth': 0.5,
         'legend.frameon': False}
PALETTE = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#808080')


def colour(number: int) -> str:
    """Colour of series `number`."""
    return PALETTE[number % len(PALETTE)]
