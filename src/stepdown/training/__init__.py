"""From stored rows to a trained bundle: records, datasets, plans and the parent's side of the training child."""
