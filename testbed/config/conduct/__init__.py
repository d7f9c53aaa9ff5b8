"""How a study is carried out: on which engine, and whether it looks at its data as they come."""
