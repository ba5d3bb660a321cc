"""What people are told: explain, status."""
