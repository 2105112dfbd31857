// SPDX-License-Identifier: MIT
//
// A small character-level transformer of LibTorch: trained by likelihood, then by DPO, once by prefer's trainer and once in
// a loop of one's own with torch's optimizer.
#include <torch/torch.h>

#include <cstdio>
#include <vector>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/policy.hpp>
#include <prefer/prefer.hpp>

struct transformer : torch::nn::Module {
  torch::nn::Embedding token{register_module("token", torch::nn::Embedding(26, 32))};
  torch::nn::TransformerEncoderLayer layer{
      register_module("layer", torch::nn::TransformerEncoderLayer(
                                   torch::nn::TransformerEncoderLayerOptions(32, 2).dropout(0)))};
  torch::nn::Linear head{register_module("head", torch::nn::Linear(32, 26))};

  at::Tensor operator()(
      at::Tensor const& ids) {  // [rows, positions] to logits [rows, positions, 26]
    auto const future = torch::full({ids.size(1), ids.size(1)}, -INFINITY).triu(1);
    return head(layer(token(ids).transpose(0, 1), future).transpose(0, 1));
  }
  void copy_from(transformer& other) {
    torch::NoGradGuard const guard;
    for (auto& each : named_parameters()) each.value().copy_(other.named_parameters()[each.key()]);
  }
};

// Letters 0 to 19 as prompts. What follows is the letter three times, or its three successors: seen equally often, and people
// prefer the first.
at::Tensor texts(std::int64_t successors) {
  return torch::arange(20).unsqueeze(1) + successors * torch::arange(4);
}
at::Tensor log_prob(transformer& model, at::Tensor const& rows) {
  auto const logits = model(rows.narrow(1, 0, 3));
  return torch::log_softmax(logits, 2).gather(2, rows.narrow(1, 1, 3).unsqueeze(2)).sum({1, 2});
}

int main() {
  torch::manual_seed(1);
  transformer model, start, by_hand;
  auto const same = texts(0), rising = texts(1);
  torch::optim::AdamW likelihood(model.parameters(), torch::optim::AdamWOptions(3e-3));
  for (int step = 0; step != 200; ++step) {
    likelihood.zero_grad();
    (-(log_prob(model, same) + log_prob(model, rising)).mean()).backward();
    likelihood.step();
  }
  start.copy_from(model);
  by_hand.copy_from(model);
  auto const odds = [&](transformer& of) {
    return (log_prob(of, same) - log_prob(of, rising)).mean().item<double>();
  };
  std::printf("after likelihood   the preferred text is exp(%5.2f) times as likely\n", odds(model));

  prefer::token_sequences tokens;
  prefer::choice_data pairs;
  for (std::uint32_t x = 0; x != 20; ++x) {
    tokens.prompts.add(std::vector{x});
    pairs.add_pair(x, tokens.completions.add(std::vector{x, x, x}),
                   tokens.completions.add(std::vector{x + 1, x + 2, x + 3}));
  }
  prefer::torch::policy policy([&](at::Tensor const& ids) { return model(ids); },
                               prefer::torch::named_tensors(model.named_parameters()), tokens);
  prefer::torch::reference reference([&](at::Tensor const& ids) { return start(ids); },
                                     prefer::torch::named_tensors(start.named_parameters()),
                                     tokens);
  prefer::trainer(policy, prefer::dpo{}, reference, pairs,
                  {.batch_size = 20, .epochs = 40, .rate = 1e-3})
      .run();
  std::printf("trainer, 40 steps  the preferred text is exp(%5.2f) times as likely\n", odds(model));

  torch::optim::AdamW optimizer(by_hand.parameters(),
                                torch::optim::AdamWOptions(1e-3).weight_decay(0));
  auto const fixed = [&](at::Tensor const& rows) { return log_prob(start, rows).detach(); };
  for (int step = 0; step != 40; ++step) {
    optimizer.zero_grad();
    prefer::torch::loss(
        prefer::dpo{},
        prefer::torch::pair_columns{.policy = {log_prob(by_hand, same), log_prob(by_hand, rising)},
                                    .reference = {fixed(same), fixed(rising)}})
        .backward();
    optimizer.step();
  }
  std::printf("own loop, 40 steps the preferred text is exp(%5.2f) times as likely\n",
              odds(by_hand));
}
