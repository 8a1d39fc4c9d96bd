"""Index numbers: bilateral formulas, chains, links of quarterly volumes, rebasing, deflation."""
