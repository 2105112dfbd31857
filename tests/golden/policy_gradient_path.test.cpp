// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <prefer/batch/token_table.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

// The golden values of policy gradients again, now from a step of the trainer on a rollout: a policy that recites what it is
// to write and how probable that was, and takes down the coefficients that come back.

namespace {

using namespace prefer;
using nlohmann::json;
using numbers = std::vector<double>;
using table = std::vector<numbers>;  // of each completion, its tokens or steps

constexpr std::uint32_t stop = 1000;

/// Completion k of prompt p is row p * group + k. The last token of one that has ended is `stop`, all others are 0.
struct recital {
  std::size_t group = 1;
  std::size_t longest = 0;
  table first;  ///< what it says when it writes
  table then;   ///< and when it learns
  table reference;
  std::vector<bool> cut_off;
  token_table written;
  std::vector<std::size_t> row;  // of each completion in the table
};

/// Numbers of completions, recited and taken down, in whatever order they are asked for.
class reciter {
 public:
  using value_type = double;
  using parameter_type = double;

  reciter(recital& of, table const& first, table const& then)
      : of_(&of), first_(&first), then_(&then), taken_(first.size()) {}

  void recite(choice_batch const& batch, std::span<double> out) {
    std::size_t at = 0;
    for (std::uint32_t const id : batch.completion) {
      for (double const each : (times_ == 0 ? *first_ : *then_)[of_->row[id]]) out[at++] = each;
    }
    ++times_;
  }
  void take_down(choice_batch const& batch, std::span<double const> coefficient) {
    std::size_t at = 0;
    for (std::uint32_t const id : batch.completion) {
      std::size_t const row = of_->row[id];
      taken_[row].assign(coefficient.data() + at, coefficient.data() + at + (*first_)[row].size());
      at += (*first_)[row].size();
    }
  }
  [[nodiscard]] table const& taken() const { return taken_; }
  std::vector<parameter<double>> parameters() {
    return {{.name = "none", .value = value_, .gradient = gradient_}};
  }

 protected:
  recital* of_;

 private:
  table const* first_;
  table const* then_;
  table taken_;
  std::size_t times_ = 0;
  double value_[1] = {};
  double gradient_[1] = {};
};

class recited_policy : public reciter {
 public:
  using reciter::reciter;

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    of_->written.offsets(batch.completion, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<double> out) { recite(batch, out); }
  void token_backward(choice_batch const& batch, std::span<double const> coefficient) {
    take_down(batch, coefficient);
  }
  void log_prob(choice_batch const& batch, std::span<double> out) {
    std::vector<std::size_t> offset;
    token_offsets(batch, offset);
    numbers tokens(offset.back());
    recite(batch, tokens);
    for (std::size_t i = 0; i != out.size(); ++i) {
      out[i] = 0.0;
      for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) out[i] += tokens[t];
    }
  }
  void backward(choice_batch const& batch, std::span<double const> coefficient) {
    numbers tokens;
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      tokens.insert(tokens.end(), of_->written.length(batch.completion[i]), coefficient[i]);
    }
    take_down(batch, tokens);
  }
  void sample(std::span<std::uint32_t const> prompts, sampling_options const&,
              random_address const&, token_table& into, std::span<std::uint32_t> ids) const {
    for (std::size_t i = 0; i != prompts.size(); ++i) {
      std::size_t const row = prompts[i] * of_->group + i % of_->group;
      std::vector<std::uint32_t> tokens(of_->first[row].size());
      if (!of_->cut_off[row]) tokens.back() = stop;
      ids[i] = into.add(tokens);
      of_->row.push_back(row);
    }
  }
};

class recited_values : public reciter {
 public:
  using reciter::reciter;

  void values(choice_batch const& batch, std::span<std::size_t const>, std::span<double> out) {
    recite(batch, out);
  }
  void backward_values(choice_batch const& batch, std::span<std::size_t const>,
                       std::span<double const> coefficient) {
    take_down(batch, coefficient);
  }
};

json file_of(char const* family) {
  std::ifstream stream(std::string(PREFER_GOLDEN_DIR) + "/policy_gradient/" + family + ".json");
  return json::parse(stream);
}

recital recital_of(json const& in) {
  recital out{.group = in.value("group", std::size_t{1}),
              .first = in.at("behaviour").get<table>(),
              .then = in.at("policy").get<table>(),
              .reference = in.at("reference").get<table>(),
              .cut_off = {},
              .written = {},
              .row = {}};
  for (numbers const& each : out.first) out.longest = std::max(out.longest, each.size());
  out.cut_off = in.value("cut_off", std::vector<bool>(out.first.size()));
  return out;
}

/// Sums of at most a few dozen doubles in another order.
bool same(numbers const& ours, numbers const& theirs) {
  return std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                    [](double a, double b) { return a == Approx(b).epsilon(1e-12).margin(1e-14); });
}
bool same(table const& ours, table const& theirs) {
  return std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                    [](numbers const& a, numbers const& b) { return same(a, b); });
}
table times(double factor, table of) {
  for (numbers& row : of) {
    for (double& each : row) each *= factor;
  }
  return of;
}

/// The coefficients that one step leaves with the policy; look(source) sees what it learned from.
template <class L>
table one_step(recital& of, L const& loss, numbers const& score, auto method, auto const& look) {
  recited_policy policy(of, of.first, of.then);
  recited_policy reference(of, of.reference, of.reference);
  std::vector<std::uint32_t> prompts;
  for (std::size_t p = 0; p != of.first.size() / of.group; ++p) {
    prompts.push_back(static_cast<std::uint32_t>(p));
  }
  rollouts source(policy, of.written, prompts,
                  [&](written_completions const& all, std::span<double> out) {
                    for (std::size_t i = 0; i != out.size(); ++i) {
                      out[i] = score[of.row[all.completion[i]]];
                    }
                  },
                  reference, method,
                  {.prompts = prompts.size(),
                   .completions = of.group,
                   .sampling = {.max_tokens = of.longest, .stop_token = stop}});
  trainer run(policy, loss, reference, source, {.steps = 1});
  run.run();
  look(source);
  return policy.taken();
}

auto const at_nothing = [](auto const&) {};

}  // namespace

TEST_CASE("golden: a step of the trainer by PPO has TRL's advantages, returns and gradients",
          "[golden][policy_gradient]") {
  auto const file = file_of("ppo");
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const& hyper = row.at("hyper");
    auto of = recital_of(in);
    auto const value = in.at("value").get<table>();
    auto const new_value = in.at("new_value").get<table>();
    auto score = in.at("score").get<numbers>();
    bool any_cut_off = false;
    for (std::size_t i = 0; i != score.size(); ++i) {
      if (value[i].size() != of.first[i].size()) continue;
      any_cut_off = true;
      if (auto const& penalty = hyper.at("missing_eos_penalty"); !penalty.is_null()) {
        score[i] -= penalty.get<double>();
      }
    }
    if (!any_cut_off) ++of.longest;  // the width, which none has reached
    using enum kl_estimator;
    double const clip = hyper.at("cliprange").get<double>();
    recited_values values(of, value, new_value);
    ppo_method const method(values,
                            {.kl = {.coefficient = hyper.at("kl_coef").get<double>(),
                                    .estimator = hyper.at("kl_estimator") == "k1" ? k1 : k3},
                             .horizon = {.discount = hyper.at("gamma").get<double>(),
                                         .lambda = hyper.at("lam").get<double>()},
                             .whiten_rewards = hyper.at("whiten_rewards").get<bool>(),
                             .value = {.clip = hyper.at("cliprange_value").get<double>()}});
    auto const taken = one_step(
        of, clipped_surrogate{.clip_low = clip, .clip_high = clip}, score, method,
        [&](auto const& source) {
          rollout const& written = source.current();
          auto const& steps = source.method().steps();
          for (std::size_t i = 0; i != written.size(); ++i) {
            std::size_t const from = of.row[written.completion[i]];
            auto const part = [&](numbers const& all, std::vector<std::size_t> const& offset) {
              return numbers(all.data() + offset[i], all.data() + offset[i + 1]);
            };
            CHECK(same(part(written.advantage, written.token_offset),
                       row.at("advantage").at(from).get<numbers>()));
            CHECK(same(part(source.method().value_targets(), steps),
                       row.at("value_target").at(from).get<numbers>()));
          }
          CHECK(source.method().value_loss() ==
                Approx(row.at("value_loss").get<double>()).epsilon(1e-12).margin(1e-14));
        });
    CHECK(same(taken, row.at("grad_policy").get<table>()));
    CHECK(same(times(hyper.at("vf_coef").get<double>(), values.taken()),
               row.at("grad_value").get<table>()));
  }
}

TEST_CASE("golden: a step of the trainer by RLOO has TRL's gradients",
          "[golden][policy_gradient]") {
  auto const file = file_of("rloo");
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& hyper = row.at("hyper");
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto of = recital_of(in);
    auto score = in.at("score").get<numbers>();
    if (auto const& range = hyper.at("reward_clip_range"); !range.is_null()) {
      for (double& each : score) {
        each = std::clamp(each, range.at(0).get<double>(), range.at(1).get<double>());
      }
    }
    auto const taken =
        one_step(of,
                 rloo{.clip_low = hyper.at("epsilon_low").get<double>(),
                      .clip_high = hyper.at("epsilon_high").get<double>()},
                 score,
                 rloo_method({.kl = {.coefficient = hyper.at("beta").get<double>()},
                              .standardise = hyper.at("normalize_advantages").get<bool>()}),
                 at_nothing);
    CHECK(same(taken, row.at("grad_policy").get<table>()));
  }
}

TEST_CASE("golden: a step of the trainer by GRPO has TRL's gradients",
          "[golden][policy_gradient]") {
  auto const file = file_of("grpo");
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& hyper = row.at("hyper");
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto of = recital_of(in);
    auto const score =
        file.at("inputs").at(row.at("inputs").get<std::string>()).at("score").get<numbers>();
    auto const& scaled = hyper.at("scale_rewards");
    auto const& type = hyper.at("loss_type");
    using enum reward_scale;
    using enum token_mean;
    grpo_method const method({.scale = scaled == "group"   ? group
                                       : scaled == "batch" ? batch
                                                           : none,
                              .mean = type == "grpo"      ? per_completion
                                      : type == "dr_grpo" ? per_limit
                                                          : per_token,
                              .leave_out_truncated = hyper.at("mask_truncated").get<bool>()});
    double const low = hyper.at("epsilon_low").get<double>();
    double const high = hyper.at("epsilon_high").get<double>();
    double const beta = hyper.at("beta").get<double>();
    auto const taken = beta == 0.0
                           ? one_step(of, clipped_surrogate{.clip_low = low, .clip_high = high},
                                      score, method, at_nothing)
                           : one_step(of, grpo{.beta = beta, .clip_low = low, .clip_high = high},
                                      score, method, at_nothing);
    CHECK(same(taken, row.at("grad_policy").get<table>()));
  }
}
