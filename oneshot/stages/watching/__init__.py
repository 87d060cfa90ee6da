"""Looking at runs from outside: `watch`, `rollouts`, `ls` and `doctor RUN` read a run folder and its process."""
