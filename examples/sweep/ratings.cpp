// SPDX-License-Identifier: MIT
#include "ratings.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/text/number.hpp>
#include <prefer/train/adamw.hpp>

#include "exact.hpp"

namespace sweep {

namespace {

using recommend::model;

constexpr std::uint64_t longer_factor = 3;

std::uint64_t fingerprint_of(recommend::interactions const& data) {
  prefer::fingerprint identity;
  for (auto const& each : data.people) {
    identity.add(std::span(each.train_items)).add(std::span(each.train_ratings));
    identity.add(std::span(each.to_find));
  }
  return identity.value();
}

std::string hexadecimal(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

class ratings_problem final : public ratings_pairs,
                              public std::enable_shared_from_this<ratings_problem> {
 public:
  ratings_problem(ratings const& of, std::size_t pairs, std::uint64_t seed,
                  label_noise const& noise);

  [[nodiscard]] std::size_t pairs() const override { return pairs_.size(); }
  [[nodiscard]] std::size_t drawn() const override { return pairs_.size(); }
  [[nodiscard]] sides scores(prefer::score_kind kind) const override;
  [[nodiscard]] std::unique_ptr<learner> start(std::string const& reference) const override;
  [[nodiscard]] std::optional<optimum> best(double) const override { return std::nullopt; }

  [[nodiscard]] prefer::choice_data const& labelled() const override { return pairs_; }
  [[nodiscard]] ratings const& of() const { return of_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  [[nodiscard]] prefer::choice_batch batch() const { return pairs_.batch(); }
  /// The same prompts with the completions of the next pair of another person.
  [[nodiscard]] prefer::choice_batch kl_examples() const {
    return {pairs_.prompt, kl_examples_, pairs_.offset};
  }

 private:
  ratings const& of_;
  std::uint64_t seed_;
  prefer::choice_data pairs_;
  std::vector<std::uint32_t> kl_examples_;
  sides stars_;  // that the two items of a pair got
};

/// The most, or least, stars that a person gave to an item that they rated, perhaps more than once.
double stars_of(recommend::person const& who, std::uint32_t item, bool most) {
  double out = most ? -HUGE_VAL : HUGE_VAL;
  for (std::size_t i = 0; i < who.train_items.size(); ++i) {
    if (who.train_items[i] != item) continue;
    double const stars = static_cast<double>(who.train_ratings[i]);
    out = most ? std::max(out, stars) : std::min(out, stars);
  }
  return out;
}

ratings_problem::ratings_problem(ratings const& of, std::size_t pairs, std::uint64_t seed,
                                 label_noise const& noise)
    : of_(of), seed_(seed) {
  auto const& people = of.data().people;
  std::vector<std::uint32_t> with_preferences;
  for (std::uint32_t p = 0; p < people.size(); ++p) {
    if (!people[p].train_preferences.empty()) with_preferences.push_back(p);
  }
  numbers const taste = draw_normal(of.data().items, seed, drawn::taste, 1.0);
  for (std::uint64_t i = 0; i < pairs; ++i) {
    prefer::random_stream stream(
        {.seed = seed, .purpose = prefer::random_purpose::data, .index = i});
    std::uint32_t const who = with_preferences[prefer::below(stream, with_preferences.size())];
    auto const& all = people[who].train_preferences;
    auto const [liked, disliked] = all[prefer::below(stream, all.size())];
    bool right = !by_taste(seed, i, noise) || taste[liked] > taste[disliked];
    if (flipped(seed, i, noise)) right = !right;
    pairs_.add_pair(who, right ? liked : disliked, right ? disliked : liked);
    double const high = stars_of(people[who], liked, true);
    double const low = stars_of(people[who], disliked, false);
    stars_.chosen.push_back(right ? high : low);
    stars_.rejected.push_back(right ? low : high);
  }
  std::size_t const n = pairs_.size();
  std::size_t other = 0;
  for (std::size_t i = 0; i < n; ++i) {
    other = std::max(other, i + 1);
    while (other < i + n && pairs_.prompt[other % n] == pairs_.prompt[i]) ++other;
    for (std::size_t side = 0; side < 2; ++side) {
      kl_examples_.push_back(pairs_.completion[2 * (other % n) + side]);
    }
  }
}

sides ratings_problem::scores(prefer::score_kind kind) const {
  sides out = stars_;
  if (kind == prefer::score_kind::ordered_reward) {
    // Who turns a label round saw the stars turned round.
    for (std::size_t i = 0; i < pairs(); ++i) {
      if (out.chosen[i] < out.rejected[i]) std::swap(out.chosen[i], out.rejected[i]);
    }
  } else if (kind == prefer::score_kind::win_probability) {
    for (std::size_t i = 0; i < pairs(); ++i) {
      out.chosen[i] = 1.0 / (1.0 + std::exp(-(stars_.chosen[i] - stars_.rejected[i])));
      out.rejected[i] = 1.0 - out.chosen[i];
    }
  }
  return out;
}

/// A policy under AdamW, and one of the task's references.
class ratings_learner final : public ratings_policy {
 public:
  ratings_learner(std::shared_ptr<ratings_problem const> of, std::string const& reference)
      : problem_(std::move(of)),
        policy_(problem_->of().trained(problem_->seed(), false)),
        parameters_(policy_.parameters()),
        kind_(reference),
        numbers_(2 * problem_->pairs()) {
    if (kind_ == "start" || kind_ == "near") {
      held_.emplace(problem_->of().trained(problem_->seed(), kind_ == "near"));
    } else if (kind_ == "ema") {
      average_.emplace(policy_, prefer::ema{});
    }
  }

  void log_prob(std::span<double> chosen, std::span<double> rejected) override {
    policy_.log_prob(problem_->batch(), numbers_);
    split(chosen, rejected);
  }
  void reference_log_prob(std::span<double> chosen, std::span<double> rejected) override {
    reference(problem_->batch(), numbers_);
    split(chosen, rejected);
  }
  [[nodiscard]] bool reference_moves() const override { return average_.has_value(); }

  void kl_log_prob(std::span<double> policy, std::span<double> reference_out) override {
    policy_.log_prob(problem_->kl_examples(), numbers_);
    std::copy(numbers_.begin(), numbers_.end(), policy.begin());
    reference(problem_->kl_examples(), numbers_);
    std::copy(numbers_.begin(), numbers_.end(), reference_out.begin());
  }
  void read_tokens(prefer::column_set wanted, double, token_numbers&) override {
    prefer::expects(wanted.empty(), "ratings_learner: an item has no tokens");
  }

  void descend(pair_gradient const& slope, double) override {
    // Side by side, opposite coefficients add up to exactly 0, which spares the gradient of the normaliser.
    for (std::size_t i = 0; i < slope.chosen.size(); ++i) {
      numbers_[2 * i] = static_cast<float>(slope.chosen[i]);
      numbers_[2 * i + 1] = static_cast<float>(slope.rejected[i]);
    }
    policy_.clear_gradient();
    policy_.backward(problem_->batch(), numbers_);
    policy_.finish_backward();
    optimizer_.step(parameters_, problem_->of().rate());
    ++steps_;
    if (average_) average_->after_step(policy_, steps_);
  }

  [[nodiscard]] judgement judge() override {
    auto const& data = problem_->of().data();
    model start = problem_->of().trained(problem_->seed(), false);
    auto const policy = said();
    judgement out = judge_ratings(data, policy, recommend::said_by(start));
    out.kl_reference = recommend::mean_divergence(data, policy, said_by_reference());
    return out;
  }
  [[nodiscard]] recommend::item_log_probs said() override { return recommend::said_by(policy_); }

 private:
  void reference(prefer::choice_batch const& batch, std::span<float> out) {
    if (held_) {
      held_->log_prob(batch, out);
    } else if (average_) {
      average_->log_prob(batch, out);
    } else if (kind_ == "far") {
      problem_->of().popular().log_prob(batch, out);
    } else {
      std::fill(out.begin(), out.end(), same_for_all());
    }
  }

  [[nodiscard]] recommend::item_log_probs said_by_reference() {
    if (held_) return recommend::said_by(*held_);
    if (average_) {
      averaged_.emplace(average_->policy());
      return recommend::said_by(*averaged_);
    }
    std::vector<float> row(problem_->of().data().items, same_for_all());
    if (kind_ == "far") {
      std::vector<std::uint32_t> const prompt = {0};
      std::vector<std::uint32_t> every(row.size());
      for (std::uint32_t i = 0; i < every.size(); ++i) every[i] = i;
      std::vector<std::size_t> const offset = {0, every.size()};
      problem_->of().popular().log_prob({prompt, every, offset}, row);
    }
    return [row](std::size_t, std::size_t count, std::span<float> out) {
      for (std::size_t r = 0; r < count; ++r) {
        std::copy(row.begin(), row.end(), out.subspan(r * row.size()).begin());
      }
    };
  }
  [[nodiscard]] float same_for_all() const {
    return kind_ == "uniform"
               ? static_cast<float>(-std::log(static_cast<double>(problem_->of().data().items)))
               : 0.0f;
  }

  void split(std::span<double> chosen, std::span<double> rejected) const {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      chosen[i] = static_cast<double>(numbers_[2 * i]);
      rejected[i] = static_cast<double>(numbers_[2 * i + 1]);
    }
  }

  std::shared_ptr<ratings_problem const> problem_;
  model policy_;
  std::vector<prefer::parameter<float>> parameters_;  // views of policy_
  std::string kind_;                                  // name of the reference
  std::optional<model> held_;
  std::optional<prefer::moving_average<model, prefer::ema>> average_;
  std::optional<model> averaged_;  // a copy of what it is at, to be judged
  prefer::adamw<float> optimizer_;
  std::uint64_t steps_ = 0;
  std::vector<float> numbers_;  // one per completion of the pairs
};

std::unique_ptr<learner> ratings_problem::start(std::string const& reference) const {
  return std::make_unique<ratings_learner>(shared_from_this(), reference);
}

}  // namespace

judgement judge_ratings(recommend::interactions const& data,
                        recommend::item_log_probs const& policy,
                        recommend::item_log_probs const& start) {
  auto const quality = recommend::judge(data, policy, start);
  judgement out{.reward = quality.ndcg_at_10.value(), .kl_start = quality.kl_start};
  std::vector<double> judges;
  for (float const one : quality.ndcg_of) {
    if (!std::isnan(one)) judges.push_back(static_cast<double>(one));
  }
  std::size_t const parts = std::min<std::size_t>(10, judges.size());
  for (std::size_t part = 0; part < parts && parts > 1; ++part) {
    double sum = 0.0;
    double count = 0.0;
    for (std::size_t k = part; k < judges.size(); k += parts, ++count) sum += judges[k];
    out.reward_of_tenths.push_back(sum / count);
  }
  return out;
}

ratings::ratings(task_options const& options)
    : options_(options), data_(recommend::read_ratings(options.ratings, {})), popular_(data_) {
  if (data_.people_with_something_to_find() == 0) {
    prefer::refuse(prefer::backend_error(
        "sweep", options.ratings,
        "nobody has liked anything in the last part of their history that they had not met in the "
        "first, so there is nothing to be found by a ranking, which is the reward of this task"));
  }
  prefer::expects(options.pairs >= 1, "ratings: pairs must be at least 1");
}

std::string ratings::settings() const {
  return "ratings people=" + std::to_string(data_.people.size()) +
         " items=" + std::to_string(data_.items) + " file=" + hexadecimal(fingerprint_of(data_)) +
         " pairs=" + std::to_string(options_.pairs) +
         " factors=" + std::to_string(options_.factors) +
         " start_epochs=" + std::to_string(options_.start_epochs) +
         " rate=" + prefer::text::shortest(options_.rate);
}

std::vector<std::string> ratings::references() const {
  return {"start", "near", "far", "uniform", "ema", "none"};
}

std::string ratings::why_no_best() const {
  return "No frontier is drawn and no distance to it is given: which ranking is the best at a KL "
         "to the start is not known, because nobody has rated everything.";
}

std::shared_ptr<problem const> ratings::make(std::uint64_t seed, label_noise const& noise) const {
  return std::make_shared<ratings_problem>(*this, options_.pairs, seed, noise);
}

recommend::model const& ratings::trained(std::uint64_t seed, bool longer) const {
  kept_model* kept = nullptr;
  {
    std::lock_guard const lock(mutex_);
    kept = &models_[{seed, longer}];
  }
  std::call_once(kept->once, [&] {
    recommend::study_options const how{
        .factors = options_.factors,
        .start_epochs = options_.start_epochs * (longer ? longer_factor : 1)};
    model policy(data_.people.size(), data_.items, options_.factors);
    recommend::train_start(policy, data_, how, seed, {});
    // A model that has not been asked for anything has no working memory, of which copies would have theirs.
    model& fresh = kept->model.emplace(data_.people.size(), data_.items, options_.factors);
    auto const from = policy.parameters();
    auto const to = fresh.parameters();
    for (std::size_t i = 0; i < from.size(); ++i) {
      std::copy(from[i].value.begin(), from[i].value.end(), to[i].value.begin());
    }
  });
  return *kept->model;
}

}  // namespace sweep
