"""Operations a second that the engine drives and records with one core."""
