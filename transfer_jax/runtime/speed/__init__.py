"""How fast a run is and where its time goes: a clock, the rates of devices, traces, compiled programs that are kept."""
