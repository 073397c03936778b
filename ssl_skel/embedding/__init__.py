"""From clips to feature vectors."""
