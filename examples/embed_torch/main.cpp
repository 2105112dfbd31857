// SPDX-License-Identifier: MIT
// A character-level transformer of LibTorch: likelihood, then DPO by prefer's trainer, and again in a loop of one's own.
#include <torch/torch.h>

#include <cstdio>
#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/policy.hpp>
#include <prefer/prefer.hpp>

struct transformer : torch::nn::Module {
  torch::nn::Embedding token{register_module("token", torch::nn::Embedding(26, 32))};
  torch::nn::TransformerEncoderLayer layer{
      register_module("layer", torch::nn::TransformerEncoderLayer(32, 2))};
  torch::nn::Linear head{register_module("head", torch::nn::Linear(32, 26))};

  transformer() { eval(); }  // no dropout
  at::Tensor operator()(at::Tensor const& ids) {
    auto const future = torch::full({ids.size(1), ids.size(1)}, -INFINITY).triu(1);
    return head(layer(token(ids).transpose(0, 1), future).transpose(0, 1));
  }
  void copy_from(transformer& other) {
    torch::NoGradGuard const guard;
    for (auto& each : named_parameters()) each.value().copy_(other.named_parameters()[each.key()]);
  }
};

// A letter is followed by itself or by its successors, equally often; people prefer the first.
at::Tensor texts(std::int64_t successors) {
  return torch::arange(20).unsqueeze(1) + successors * torch::arange(4);
}
at::Tensor log_prob(transformer& model, at::Tensor const& rows) {
  auto const logits = model(rows.narrow(1, 0, 3));
  return torch::log_softmax(logits, 2).gather(2, rows.narrow(1, 1, 3).unsqueeze(2)).sum({1, 2});
}

void descend(transformer& model, int steps, double rate, auto const& loss) {
  using torch::optim::AdamWOptions;
  torch::optim::AdamW optimizer(model.parameters(), AdamWOptions(rate).weight_decay(0));
  for (; steps != 0; --steps) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
  }
}

int main() {
  torch::manual_seed(1);
  transformer model, start, by_hand;
  auto const same = texts(0), rising = texts(1);
  auto const say = [&](char const* after, transformer& of) {
    auto const odds = (log_prob(of, same) - log_prob(of, rising)).mean().item<double>();
    std::printf("%-18s the preferred text is exp(%5.2f) times as likely\n", after, odds);
  };
  descend(model, 200, 3e-3,
          [&] { return -(log_prob(model, same) + log_prob(model, rising)).mean(); });
  for (transformer* each : {&start, &by_hand}) each->copy_from(model);
  say("after likelihood", model);
  prefer::token_sequences tokens;
  prefer::choice_data pairs;
  for (std::uint32_t x = 0; x != 20; ++x) {
    tokens.prompts.add(std::vector{x});
    tokens.completions.add(std::vector{x, x, x});
    tokens.completions.add(std::vector{x + 1, x + 2, x + 3});
    pairs.add_pair(x, 2 * x, 2 * x + 1);
  }
  using prefer::torch::named_tensors;
  auto const of_model = [&](at::Tensor const& ids) { return model(ids); };
  auto const of_start = [&](at::Tensor const& ids) { return start(ids); };
  prefer::torch::policy policy(of_model, named_tensors(model.named_parameters()), tokens);
  prefer::torch::reference reference(of_start, named_tensors(start.named_parameters()), tokens);
  prefer::trainer(policy, prefer::dpo{}, reference, pairs, {.batch_size = 20, .epochs = 40}).run();
  say("trainer, 40 steps", model);
  prefer::torch::completions const before{log_prob(start, same), log_prob(start, rising)};
  descend(by_hand, 40, 1e-3, [&] {
    prefer::torch::completions const now{log_prob(by_hand, same), log_prob(by_hand, rising)};
    return prefer::torch::loss(prefer::dpo{}, prefer::torch::pair_columns{now, before});
  });
  say("own loop, 40 steps", by_hand);
}
