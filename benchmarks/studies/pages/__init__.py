"""The pages and pictures of the studies."""
