// SPDX-License-Identifier: MIT
#include "scorer.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <scoring/scorers.hpp>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/reward/reward_model.hpp>

#include "../language/model.hpp"
#include "../language/prompt.hpp"
#include "../program/arguments.hpp"
#include "../program/completion.hpp"
#include "../program/kept.hpp"
#include "../program/kept_rows.hpp"
#include "../program/progress.hpp"
#include "../program/signals.hpp"

namespace sample {

namespace {

namespace data = prefer::data;
namespace fs = std::filesystem;

constexpr std::string_view by_reward = "reward:";

bool is_reward(std::string_view name) { return name.substr(0, by_reward.size()) == by_reward; }

/// Between commas; one of them may be empty. Behind a backslash a comma is a comma of the name.
std::vector<std::string> folders_of(std::string_view name) {
  std::vector<std::string> out(1);
  for (std::size_t at = by_reward.size(); at < name.size(); ++at) {
    if (name.substr(at, 2) == "\\,") {
      out.back() += name[++at];
    } else if (name[at] == ',') {
      out.emplace_back();
    } else {
      out.back() += name[at];
    }
  }
  return out;
}

CLI::Validator scorer_name() {
  auto words = scoring::scorer_names();
  words.emplace_back("reward:FOLDER");
  return CLI::Validator(
      [built_in = program::one_of(words)](std::string& text) -> std::string {
        if (!is_reward(text)) return built_in(text);
        auto const folders = folders_of(text);
        bool const named = std::none_of(folders.begin(), folders.end(),
                                        [](std::string const& each) { return each.empty(); });
        return named ? ""
                     : "found " + program::in_quotes(text) +
                           "; expected a folder behind reward:, or several with commas between";
      },
      "");
}

class built_in final : public scorer {
 public:
  explicit built_in(std::string name) : name_(std::move(name)) {}

  void score(std::span<unscored const> all) override {
    auto const of = scoring::scorer_named(name_);
    for (auto const& each : all) each.what->score = of(each.what->text);
  }
  void expect_room(std::span<data::turns const>, std::size_t) const override {}
  [[nodiscard]] std::uint64_t identity() const override {
    return prefer::fingerprint().add(name_).value();
  }

 private:
  std::string name_;
};

/// A reward model on disk: an adapter with a head, or a model with one, of which the other is empty.
struct reward_place {
  std::string adapter;
  std::string model;
};

/// A folder of tune's, or what lies in it.
reward_place reward_in(std::string const& folder) {
  std::error_code ignored;
  for (std::string const& path : {folder + "/adapter", folder}) {
    if (fs::exists(path + "/adapter_config.json", ignored)) return {path, ""};
  }
  for (std::string const& path : {folder + "/model", folder}) {
    if (fs::exists(path + "/config.json", ignored)) return {"", path};
  }
  prefer::refuse(prefer::backend_error(
      "--scorer reward", folder,
      "there is no reward model; expected a folder that tune --reward-model wrote, or what lies in "
      "it: adapter or model (a comma that belongs to a name is written \\,)"));
}

/// One or several reward models.
class reward_models final : public scorer {
 public:
  /// `base` is what adapters are of.
  reward_models(scorer_options const& given, language::model_options const& base) : given_(given) {
    std::vector<prefer::any_policy<float>> members;
    bool any_adapter = false;
    for (auto const& folder : folders_of(given.name)) {
      auto const place = reward_in(folder);
      any_adapter = any_adapter || place.model.empty();
      auto& model = opened(base, place);
      held_.push_back(model.scorer(texts_, place.adapter));
      members.push_back(held_.back()->handle());
      members.back().use(model.threads());
    }
    if (!given.model.empty() && !any_adapter) {
      prefer::refuse("--scorer-model: " + given.name + " is a whole model, and no adapter of one");
    }
    all_.emplace(std::move(members), given.deviations);
  }

  void score(std::span<unscored const> all) override {
    program::progress shown(all.size(), "scoring");
    for (std::size_t begin = 0; begin != all.size();) {
      if (program::interrupted) throw program::stop();
      std::size_t const end = begin + score_some(all.subspan(begin));
      shown.advance(end - begin, "scoring");
      begin = end;
    }
  }

  void expect_room(std::span<data::turns const> prompts, std::size_t most) const override {
    for (auto const& each : prompts) {
      // An answer that was cut gets the end of its turn besides.
      expect_room(each, language::prompt_tokens(each, words()).size() + most + 1,
                  "answers to it may have ");
    }
  }
  [[nodiscard]] std::uint64_t identity() const override {
    prefer::fingerprint out;
    out.add("reward").add(words().identity()).add(given_.deviations);
    for (auto const& [path, model] : models_) out.add(model->identity());
    for (auto const& folder : folders_of(given_.name)) {
      auto const place = reward_in(folder);
      if (!place.model.empty()) continue;  // among the models
      out.add(program::content_of(place.adapter + "/adapter_model.safetensors"));
    }
    return out.value();
  }

 private:
  static constexpr std::size_t prompts_at_once = 8;
  static constexpr std::size_t completions_of_a_group = 16;

  /// The model of a member, each once; their tokens are the same.
  language::model& opened(language::model_options const& base, reward_place const& place) {
    language::model_options how = base;
    if (!place.model.empty()) {
      how.model = place.model;
      how.chat_template.clear();
    }
    if (how.model.empty()) {
      prefer::refuse("--scorer " + given_.name + " needs --scorer-model FILE, which " +
                     place.adapter + " is an adapter of");
    }
    auto& out = models_[how.model];
    if (out) return *out;
    out = std::make_unique<language::model>(how);
    if (first_ == nullptr) first_ = out.get();
    context_ = std::min(context_, out->config().context);
    if (out->words().identity() != words().identity()) {
      prefer::refuse(prefer::backend_error(
          "--scorer reward", how.model,
          "its tokenizer is another than that of the first; expected members of one tokenizer"));
    }
    return *out;
  }
  [[nodiscard]] prefer::lm::tokenizer const& words() const { return first_->words(); }

  void expect_room(data::turns const& prompt, std::size_t tokens, char const* what) const {
    if (tokens <= context_) return;
    prefer::refuse("--scorer " + given_.name + ": the prompt " + language::in_short(prompt) +
                   " and " + what + std::to_string(tokens) +
                   " tokens; expected no more than the reward model's context, " +
                   std::to_string(context_));
  }

  /// The first of them, as many as are asked about at once. How many that are.
  std::size_t score_some(std::span<unscored const> all) {
    texts_.prompts.keep_first(0);
    texts_.completions.keep_first(0);
    std::vector<std::uint32_t> prompt;
    std::vector<std::uint32_t> completion;
    std::vector<std::size_t> offset = {0};
    while (completion.size() != all.size() && prompt.size() != prompts_at_once) {
      data::turns const& asked = *all[completion.size()].prompt;
      auto const tokens = language::prompt_tokens(asked, words());
      prompt.push_back(texts_.prompts.add(tokens));
      while (completion.size() != all.size() && all[completion.size()].prompt == &asked &&
             completion.size() - offset.back() != completions_of_a_group) {
        auto const& text = all[completion.size()].what->text;
        auto const answer = language::completion_tokens(turns_of(asked, text), words());
        if (answer.empty()) {
          prefer::refuse("--scorer " + given_.name + ": a completion of the prompt " +
                         language::in_short(asked) + " has no token that could be scored");
        }
        expect_room(asked, tokens.size() + answer.size(), "a completion have ");
        completion.push_back(texts_.completions.add(answer));
      }
      offset.push_back(completion.size());
    }
    std::vector<float> out(completion.size());
    all_->log_prob(
        prefer::choice_batch{.prompt = prompt, .completion = completion, .offset = offset},
        std::span<float>(out));
    for (std::size_t i = 0; i != out.size(); ++i) {
      if (!std::isfinite(out[i])) {
        prefer::refuse("--scorer " + given_.name + ": the score of a completion of the prompt " +
                       language::in_short(*all[i].prompt) + " is not finite");
      }
      all[i].what->score = out[i];
    }
    return out.size();
  }

  scorer_options given_;
  std::map<std::string, std::unique_ptr<language::model>> models_;  // by their paths
  language::model* first_ = nullptr;
  std::size_t context_ = std::numeric_limits<std::size_t>::max();  // of the shortest
  prefer::token_sequences texts_;                                  // of what is asked about now
  std::vector<std::unique_ptr<language::held_policy>> held_;
  std::optional<prefer::reward_ensemble<prefer::any_policy<float>>> all_;
};

}  // namespace

void scorer_options::expect_sense() const {
  bool const reward = is_reward(name);
  if (!model.empty() && !reward) {
    prefer::refuse("--scorer-model is for --scorer reward:FOLDER, which it is the model of");
  }
  if (deviations != 0.0 && (!reward || folders_of(name).size() == 1)) {
    prefer::refuse(
        "--scorer-deviations: one judge has no deviation; expected several reward models, --scorer "
        "reward:FOLDER,FOLDER");
  }
}

void add_scorer_options(CLI::App& app, scorer_options& given, std::string const& what) {
  auto words = scoring::scorer_names();
  words.emplace_back(by_reward);
  program::suggested["--scorer"] = words;
  app.add_option("--scorer", given.name, what)->type_name("NAME")->check(scorer_name());
  app.add_option("--scorer-model", given.model,
                 "The model that reward models are adapters of [--model]")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--scorer-deviations", given.deviations,
                 "Of several reward models the score is their mean less so many of their standard "
                 "deviations")
      ->check(program::non_negative_and_finite())
      ->capture_default_str();
}

std::string scorers_in_words() {
  return R"(--scorer sentiment      how upbeat an English text is, by a list of words that can be read
         lengths        its words
         reward:FOLDER  the score of a reward model that tune --reward-model wrote there; of
                        several, reward:A,B,C, the mean less --scorer-deviations of theirs
                        (a comma that belongs to a name is written \,)
A reward model is an adapter of --model, whose weights it then shares, or of --scorer-model, or a
model of its own (tune --reward-model --full), and is asked as score would ask it: the completion
with the end of its turn.
)";
}

std::unique_ptr<scorer> open_scorer(scorer_options const& given,
                                    language::model_options const& writer) {
  given.expect_sense();
  if (!is_reward(given.name)) return std::make_unique<built_in>(given.name);
  language::model_options model = writer;
  if (!given.model.empty() && given.model != writer.model) {
    model.model = given.model;
    model.chat_template.clear();
  }
  model.adapter.clear();
  return std::make_unique<reward_models>(given, model);
}

}  // namespace sample
