"""Structure -> MotifGraph: coordination polyhedra and what they share."""
