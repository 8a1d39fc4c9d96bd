"""Climate index (景气指数) and early-warning lamps (预警灯): stated weights, stated thresholds, tested against the past."""
