"""What is burnt into a picture: bars and frames around it, text, logos and watermarks over it."""
