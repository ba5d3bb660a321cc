"""What clients report: taken in, held against what is in force, counted. Signs nothing."""
