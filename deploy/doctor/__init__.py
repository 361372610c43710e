"""What `imsfeed doctor` looks at: everything that can be wrong before it is."""
