"""A training script as a user writes it, timed from start to finish: one epoch on the embedded digits."""

import fastnn

train, _ = fastnn.datasets.load("mnist-small")
net = fastnn.MLP([784, 512, 10])
history = net.fit(train.X, train.y, epochs=1, batch_size=128, learning_rate=0.1)
print(history.loss)
