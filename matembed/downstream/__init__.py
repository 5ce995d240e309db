"""EmbeddingTable -> features, models, scores, probes and figures."""
