"""What a store can do, proved by experiment: never by what it says, nor by its name."""
