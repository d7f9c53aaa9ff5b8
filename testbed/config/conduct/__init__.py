"""How a study is carried out: on which engine, by which servers, and whether it looks at its data as they come."""
