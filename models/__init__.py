"""The captioner: encoders, decoder, datasets, training, calibration, evaluation and hardening."""
