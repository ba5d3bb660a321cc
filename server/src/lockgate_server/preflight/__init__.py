"""Whether a server can run here, found out by looking: what `lockgate-server env check` tells."""
