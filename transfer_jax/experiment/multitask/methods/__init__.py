"""How T losses become one step, one file each: a Method turns losses and gradients into a direction and weights."""
