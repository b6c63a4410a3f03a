"""What v5.5 saved, made here."""

from __future__ import annotations

import torch

from ternary_vae.model import DualVAE


def v5_5_content(seed=0):
    """What a v5.5 run saves: a plain model, AdamW over all its parameters in v5.5's order (StateNet
    last and without gradients), and the plain values."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DualVAE()
        groups = (model.encoder_A, model.decoder_A, model.encoder_B, model.decoder_B, model.state_net)
        named = {id(parameter): name for name, parameter in model.named_parameters()}
        parameters = [parameter for part in groups for parameter in part.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)
        for _ in range(3):
            optimizer.zero_grad()
            outputs = model(torch.randint(-1, 2, (16, 9)), rho=0.1)
            sum(output.square().mean() for output in outputs.values()).backward()
            optimizer.step()
    moments = {named[id(parameter)]: state for parameter, state in optimizer.state.items()}
    weights = {
        "grad_norm_A_ema": torch.tensor(1.25),
        "grad_norm_B_ema": torch.tensor(0.5),
        **model.state_dict(),
    }
    content = {
        "epoch": 20,
        "model": weights,
        "optimizer": optimizer.state_dict(),
        "best_val_loss": float("inf"),
        "H_A_history": [2.1, 2.2],
        "lambda1": 0.95,
        "lambda2": 0.5,
        "lambda3": 0.43,
        "rho": 0.1,
        "phase": 1,
        "grad_balance_achieved": False,
        "grad_norm_A_ema": 1.25,
        "grad_norm_B_ema": 0.5,
        "grad_ema_momentum": 0.5,
        "statenet_enabled": True,
        "statenet_corrections": {"delta_lr": [0.1]},
    }
    return content, model, moments
