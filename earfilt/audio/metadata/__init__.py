"""What is stored beside the samples: tags, and those that a filter makes false."""
