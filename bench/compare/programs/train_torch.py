"""The same as train_fastnn.py in PyTorch, the data coming from the same loader."""

import torch
from torch import nn

from fastnn import datasets

train, _ = datasets.load("mnist-small")
X, y = torch.from_numpy(train.X), torch.from_numpy(train.y)
net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
total = 0.0
for rows in torch.randperm(len(y)).split(128):
    loss = nn.functional.cross_entropy(net(X[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += len(rows) * loss.item()
print(total / len(y))
