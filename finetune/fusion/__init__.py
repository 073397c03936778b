"""Several streams, one answer: weighted sums of the logits that finished evaluations kept.

What is fused is what trainings said of the test clips, encoder by encoder and seed by seed; nothing is computed again.
"""
