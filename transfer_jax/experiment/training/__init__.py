"""The training of a fit: what a step draws and computes, and many fits side by side as one compiled program."""
