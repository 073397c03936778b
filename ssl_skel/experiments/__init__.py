"""Many runs at once: list them, compare their reports in one table, run a grid of them. Reads run directories only."""
