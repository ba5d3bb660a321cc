"""A repository copied into a folder: for a site without a network, or a plain web server."""
