"""The processes that the supervisor keeps alive."""
