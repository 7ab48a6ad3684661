"""Ways to learn a target from its sources, one file each: a Lab comes in, an Outcome goes out."""
