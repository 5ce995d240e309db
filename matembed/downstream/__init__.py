"""EmbeddingTable -> features, scores and figures."""
