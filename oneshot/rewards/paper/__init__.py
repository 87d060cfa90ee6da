"""The paper's two graders: its training reward and its lenient evaluation."""
