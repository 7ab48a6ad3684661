"""How the transformer is spread over the devices of a mesh."""
