"""Running a survey: permanent random numbers, allocation, selection, rotation, response tracking."""
