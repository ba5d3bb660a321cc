"""One module for each noun: options become a request, one call carries it out, and it is shown."""
