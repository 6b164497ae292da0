"""The 2018 study: published figures, protocols, claims, interventions, evidence and outcome."""
