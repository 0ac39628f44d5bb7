"""SOFA files (AES69): head-related impulse responses of many directions."""
