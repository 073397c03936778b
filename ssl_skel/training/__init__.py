"""The one training loop and what it needs: optimiser, schedule, checkpoints, run directory."""
