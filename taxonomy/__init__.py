"""What counts as AI, and what words mean: schemes, correspondences, vocabulary, the classifier."""
