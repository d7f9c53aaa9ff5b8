"""A model seen otherwise: as AutoGen's client, or with a meter."""
