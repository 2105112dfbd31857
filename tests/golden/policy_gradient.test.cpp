// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <prefer/advantage/baselines.hpp>
#include <prefer/advantage/generalised_advantages.hpp>
#include <prefer/advantage/steps.hpp>
#include <prefer/advantage/token_weights.hpp>
#include <prefer/advantage/whiten.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/objective/evaluate.hpp>

// Advantages, returns and losses of policy gradients as TRL's trainers have them: tests/golden/policy_gradient/README.md.

namespace {

using nlohmann::json;
using numbers = std::vector<double>;
using offsets = std::vector<std::size_t>;

json file_of(char const* family) {
  std::ifstream stream(std::string(PREFER_GOLDEN_DIR) + "/policy_gradient/" + family + ".json");
  return json::parse(stream);
}

/// Rows of unequal length, end to end, and where each begins.
struct ragged {
  numbers all;
  offsets offset = {0};

  explicit ragged(json const& rows) {
    for (auto const& row : rows) {
      auto const one = row.get<numbers>();
      all.insert(all.end(), one.begin(), one.end());
      offset.push_back(all.size());
    }
  }
};

numbers flat(json const& rows) { return ragged(rows).all; }

/// Sums of at most a few dozen doubles in another order.
bool same(numbers const& ours, numbers const& theirs) {
  return std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                    [](double a, double b) { return a == Approx(b).epsilon(1e-12).margin(1e-14); });
}
bool same(double ours, json const& theirs) {
  return ours == Approx(theirs.get<double>()).epsilon(1e-12).margin(1e-14);
}

numbers sums(ragged const& of) {
  numbers out;
  for (std::size_t i = 0; i + 1 < of.offset.size(); ++i) {
    double total = 0.0;
    for (std::size_t t = of.offset[i]; t != of.offset[i + 1]; ++t) total += of.all[t];
    out.push_back(total);
  }
  return out;
}

/// Groups of so many completions each.
offsets groups(std::size_t completions, std::size_t group) {
  offsets out;
  for (std::size_t i = 0; i <= completions; i += group) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("golden: PPO's rewards, advantages, returns and losses", "[golden][policy_gradient]") {
  auto const file = file_of("ppo");
  REQUIRE(file.at("cases").size() == 41);
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const& hyper = row.at("hyper");
    ragged const behaviour(in.at("behaviour"));
    ragged const value(in.at("value"));  // one more per completion that has ended
    auto score = in.at("score").get<numbers>();
    if (!hyper.at("missing_eos_penalty").is_null()) {
      for (std::size_t i = 0; i != score.size(); ++i) {
        bool const ended =
            value.offset[i + 1] - value.offset[i] > behaviour.offset[i + 1] - behaviour.offset[i];
        if (!ended) score[i] -= hyper.at("missing_eos_penalty").get<double>();
      }
    }
    using enum prefer::kl_estimator;
    auto reward = prefer::step_rewards(behaviour.all, flat(in.at("reference")), score,
                                       behaviour.offset, value.offset,
                                       {.coefficient = hyper.at("kl_coef").get<double>(),
                                        .estimator = hyper.at("kl_estimator") == "k1" ? k1 : k3});
    if (hyper.at("whiten_rewards")) reward = prefer::whiten(reward, prefer::whitened_mean::kept);
    CHECK(same(reward, flat(row.at("reward"))));

    auto const found = prefer::generalised_advantages(
        reward, value.all, value.offset,
        {.discount = hyper.at("gamma").get<double>(), .lambda = hyper.at("lam").get<double>()});
    CHECK(same(found.advantage, flat(row.at("advantage_before_whitening"))));
    CHECK(same(found.value_target, flat(row.at("value_target"))));
    auto const advantage =
        prefer::whiten(prefer::of_tokens(found.advantage, behaviour.offset, value.offset));
    CHECK(same(advantage, flat(row.at("advantage"))));

    auto const policy = flat(in.at("policy"));
    prefer::clipped_surrogate const surrogate{.clip_low = hyper.at("cliprange").get<double>(),
                                              .clip_high = hyper.at("cliprange").get<double>()};
    auto const tokens = prefer::evaluate(
        surrogate,
        prefer::unpaired_columns{.policy = policy, .score = advantage, .behaviour = behaviour.all});
    CHECK(same(tokens.loss, row.at("policy_loss")));
    CHECK(same(tokens.coefficient, flat(row.at("grad_policy"))));

    auto const new_value = flat(in.at("new_value"));
    auto const steps = prefer::evaluate(
        prefer::clipped_value{.clip = hyper.at("cliprange_value").get<double>()},
        prefer::unpaired_columns{.policy = new_value,  // which this loss does not read
                                 .value_estimate = new_value,
                                 .behaviour_value = value.all,
                                 .value_target = found.value_target});
    CHECK(same(steps.loss, row.at("value_loss")));
    auto const vf_coef = hyper.at("vf_coef").get<double>();
    auto by_value = steps.value_coefficient;
    for (double& each : by_value) each *= vf_coef;
    CHECK(same(by_value, flat(row.at("grad_value"))));
    CHECK(same(tokens.loss + vf_coef * steps.loss, row.at("loss")));
  }
}

TEST_CASE("golden: RLOO's advantages and losses", "[golden][policy_gradient]") {
  auto const file = file_of("rloo");
  REQUIRE(file.at("cases").size() == 18);
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const& hyper = row.at("hyper");
    ragged const behaviour(in.at("behaviour"));
    auto const old = sums(behaviour);
    CHECK(same(old, row.at("behaviour_log_prob").get<numbers>()));
    auto score = in.at("score").get<numbers>();
    if (auto const& range = hyper.at("reward_clip_range"); !range.is_null()) {
      for (double& each : score) {
        each = std::clamp(each, range.at(0).get<double>(), range.at(1).get<double>());
      }
    }
    auto const reward = prefer::penalised_scores(score, old, sums(ragged(in.at("reference"))),
                                                 hyper.at("beta").get<double>());
    auto advantage =
        prefer::leave_one_out(reward, groups(reward.size(), in.at("group").get<std::size_t>()));
    if (hyper.at("normalize_advantages")) advantage = prefer::standardise(advantage);
    CHECK(same(advantage, row.at("advantage").get<numbers>()));

    auto const policy = sums(ragged(in.at("policy")));
    auto const result = prefer::evaluate(
        prefer::rloo{.clip_low = hyper.at("epsilon_low").get<double>(),
                     .clip_high = hyper.at("epsilon_high").get<double>()},
        prefer::unpaired_columns{.policy = policy, .score = advantage, .behaviour = old});
    CHECK(same(result.loss, row.at("loss")));
    numbers by_token;  // every token of a completion has its coefficient
    for (std::size_t i = 0; i != policy.size(); ++i) {
      by_token.insert(by_token.end(), behaviour.offset[i + 1] - behaviour.offset[i],
                      result.coefficient[i]);
    }
    CHECK(same(by_token, flat(row.at("grad_policy"))));
  }
}

TEST_CASE("golden: GRPO's advantages and losses, with every normaliser",
          "[golden][policy_gradient]") {
  auto const file = file_of("grpo");
  REQUIRE(file.at("cases").size() == 36);
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id") << " " << row.at("inputs") << " " << row.at("hyper").dump());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const& hyper = row.at("hyper");
    ragged const behaviour(in.at("behaviour"));
    std::size_t const completions = behaviour.offset.size() - 1;
    using enum prefer::reward_scale;
    auto const& scaled = hyper.at("scale_rewards");
    auto const advantage = prefer::group_relative(
        in.at("score").get<numbers>(), groups(completions, in.at("group").get<std::size_t>()),
        scaled == "group"   ? group
        : scaled == "batch" ? batch
                            : none);
    CHECK(same(advantage, row.at("advantage").get<numbers>()));

    std::vector<float> counts;
    std::size_t longest = 0;
    numbers of_token;
    for (std::size_t i = 0; i != completions; ++i) {
      bool const left_out =
          hyper.at("mask_truncated").get<bool>() && in.at("cut_off").at(i).get<bool>();
      counts.push_back(left_out ? 0.0F : 1.0F);
      std::size_t const length = behaviour.offset[i + 1] - behaviour.offset[i];
      longest = std::max(longest, length);
      of_token.insert(of_token.end(), length, advantage[i]);
    }
    using prefer::token_mean;
    auto const& type = hyper.at("loss_type");
    auto const weight = prefer::token_weights(type == "grpo"      ? token_mean::per_completion
                                              : type == "dr_grpo" ? token_mean::per_limit
                                                                  : token_mean::per_token,
                                              behaviour.offset, counts, longest);

    auto const policy = flat(in.at("policy"));
    auto const reference = flat(in.at("reference"));
    double const low = hyper.at("epsilon_low").get<double>();
    double const high = hyper.at("epsilon_high").get<double>();
    prefer::unpaired_columns const tokens{.policy = policy,
                                          .reference = reference,
                                          .score = of_token,
                                          .weight = weight,
                                          .behaviour = behaviour.all};
    // The weights are all that is divided by.
    prefer::evaluate_options const whole{.reduce = prefer::reduction::none};
    double const beta = hyper.at("beta").get<double>();
    auto const result =
        beta == 0.0
            ? prefer::evaluate(prefer::clipped_surrogate{.clip_low = low, .clip_high = high},
                               tokens, whole)
            : prefer::evaluate(prefer::grpo{.beta = beta, .clip_low = low, .clip_high = high},
                               tokens, whole);
    double loss = 0.0;
    for (double const each : result.value) loss += each;
    CHECK(same(loss, row.at("loss")));
    CHECK(same(result.coefficient, flat(row.at("grad_policy"))));
  }
}
