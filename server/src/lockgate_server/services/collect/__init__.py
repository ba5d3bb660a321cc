"""What the store holds beside what is needed: told apart, verified, and removed."""
